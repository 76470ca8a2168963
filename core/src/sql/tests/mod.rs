mod alone;
mod microseconds;
mod zones;
