mod again;
mod law;
mod lineage;
mod refusals;
mod rows;
