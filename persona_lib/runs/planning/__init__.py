"""What a run is to do: presets, parameters of notebooks, and all that is checked before anything is asked or paid."""
