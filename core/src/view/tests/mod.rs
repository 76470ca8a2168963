mod again;
mod law;
mod refusals;
mod rows;
