from garrison import drills
from keepsakes.models import Keepsake

drills.back_up_files("sealed", owner=Keepsake)
