"""The pitch: leads, dialers with and without a gate, and a picture of the result."""
