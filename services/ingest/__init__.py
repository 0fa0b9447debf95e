"""Takes responses from other systems, answers when they are durable, publishes them."""
