mod again;
mod failing;
mod law;
mod lineage;
mod refusals;
mod rows;
