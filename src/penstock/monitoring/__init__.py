"""Whether inputs and answers still look as they did, and how right the answers were: pure figures over arrays. May import domain only."""
