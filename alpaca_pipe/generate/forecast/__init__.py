"""What generation will take: priors, a simulation, and how both learn while a run goes on."""
