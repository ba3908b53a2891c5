"""The gate as an HTTP service for any dialer, with a page for whoever watches over it."""
