"""What the services' pages and routes share: errors, authentication, templates, health."""
