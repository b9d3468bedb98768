"""An engine that the apps are not written for, as far as a check can see."""
