"""The journey language, its validation and the decision engine; pure, like the domain."""
