"""What every store must do, by what it is about; gathered in ``StoreConformance``."""
