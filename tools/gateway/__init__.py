"""The gateway: takes the reports of sleeping nodes, and answers for them at any time."""
