"""How well teachers order the candidates, before anything is trained on what they say."""
