"""What trials are scored by: predictions, policies, generated answers, and both tracks of them."""
