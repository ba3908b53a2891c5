"""The pitch: leads, dialers with and without a gate, and a picture of what comes of it."""
