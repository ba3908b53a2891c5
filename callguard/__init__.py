"""The gate in front of an outbound voice call."""
