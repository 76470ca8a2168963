mod alone;
mod zones;
