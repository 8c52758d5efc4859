"""What a customer is and what may be said to them; pure, standard library and msgspec only."""
