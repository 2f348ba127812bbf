"""Training one network: epochs, resuming, pretrained weights, curves, speed."""
