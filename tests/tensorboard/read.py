"""For TensorBoard's Python: prints what its own reader finds in each folder, as JSON. usage: read.py FOLDER..."""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ALL = {"scalars": 0, "images": 0, "tensors": 0}
found = {}
for folder in sys.argv[1:]:
    events = EventAccumulator(folder, size_guidance=ALL)
    events.Reload()
    tags = events.Tags()
    found[folder] = {
        "scalars": {tag: [[e.step, e.value, e.wall_time] for e in events.Scalars(tag)] for tag in tags["scalars"]},
        "images": {tag: [[e.step, e.width, e.height, e.encoded_image_string[:8].hex()] for e in events.Images(tag)] for tag in tags["images"]},
        "version": events.file_version,
    }
print(json.dumps(found))
