"""Training runs that are sick in a known way, and healthy ones that look odd: what the babysitter is measured on."""
