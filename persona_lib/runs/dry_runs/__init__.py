"""What a preset would ask and find, known before a model is paid: notebooks run with made-up or planted replies."""
