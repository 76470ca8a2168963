mod law;
mod refusals;
mod rows;
