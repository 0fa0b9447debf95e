"""What the routes of the journey take and give."""
