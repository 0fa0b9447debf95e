"""Where customers meet the company, and who answers for each of these touchpoints."""
