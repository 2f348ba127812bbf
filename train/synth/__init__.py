"""Made micro-expressions: action units, fields, confounders, cameras, clips and long videos."""
