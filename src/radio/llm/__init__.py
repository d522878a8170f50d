"""Language models: how they are asked, over HTTP or on this machine, and what they answered."""
