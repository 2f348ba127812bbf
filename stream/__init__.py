"""The live side: sources, face, window, engine, outputs. Start with `stream.recognizer.Recognizer`."""
