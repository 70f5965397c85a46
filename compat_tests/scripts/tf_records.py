"""Images and labels in TFRecord files: written as examples, interleaved, parsed, trained on."""

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
labels = np.arange(40) % 2
images = rng.integers(0, 120, size=(40, 6, 6, 1)).astype("uint8")
images[labels == 1, 2:4, 2:4] += 100


def _bytes_feature(value):
    if isinstance(value, type(tf.constant(0))):
        value = value.numpy()
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _float_feature(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _int64_feature(value):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def serialize_example(image, label):
    feature = {
        "height": _int64_feature(image.shape[0]),
        "label": _int64_feature(int(label)),
        "weights": _float_feature([0.5, 1.0 + label]),
        "image_raw": _bytes_feature(tf.io.encode_png(image)),
        "name": _bytes_feature(f"image {label}".encode()),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


for shard in range(2):
    with tf.io.TFRecordWriter(f"train-{shard}.tfrecord") as writer:
        for image, label in zip(images[shard::2], labels[shard::2], strict=True):
            writer.write(serialize_example(image, label))

raw = tf.data.TFRecordDataset("train-0.tfrecord")
for record in raw.take(1):
    example = tf.train.Example()
    example.ParseFromString(record.numpy())
    print("features:", sorted(example.features.feature))
    print("weights:", list(example.features.feature["weights"].float_list.value))
print("count:", sum(1 for _ in raw))

DESCRIPTION = {
    "height": tf.io.FixedLenFeature([], tf.int64),
    "label": tf.io.FixedLenFeature([], tf.int64, default_value=0),
    "weights": tf.io.FixedLenFeature([2], tf.float32),
    "image_raw": tf.io.FixedLenFeature([], tf.string),
    "name": tf.io.VarLenFeature(tf.string),
}


def parse(serialized):
    example = tf.io.parse_single_example(serialized, DESCRIPTION)
    image = tf.io.decode_png(example["image_raw"], channels=1)
    image = tf.reshape(tf.cast(image, tf.float32) / 255.0, [6, 6, 1])
    return image, example["label"], example["weights"][1]


files = tf.data.Dataset.list_files("train-*.tfrecord", shuffle=False)
dataset = files.interleave(tf.data.TFRecordDataset, cycle_length=2, block_length=4)
dataset = dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE).cache()
for image, label, weight in dataset.skip(1).take(1):
    print("image:", image.shape, f"mean: {tf.reduce_mean(image):.3f}", int(label), float(weight))
print("labels:", [int(label) for _, label, _ in dataset])
for batch in raw.batch(3).take(1):
    parsed = tf.io.parse_example(batch, DESCRIPTION)
    print("names:", tf.sparse.to_dense(parsed["name"], default_value="").numpy().ravel().tolist())
    print("batch:", parsed["weights"].shape, parsed["height"].numpy().tolist())

matrix = tf.constant(np.arange(6, dtype="float32").reshape(2, 3))
tf.io.write_file("matrix.bin", tf.io.serialize_tensor(matrix))
again = tf.io.parse_tensor(tf.io.read_file("matrix.bin"), out_type=tf.float32)
print("matrix:", again.shape, bool(tf.reduce_all(again == matrix)))

model = tf.keras.Sequential(
    [
        tf.keras.Input((6, 6, 1)),
        tf.keras.layers.Conv2D(3, 3, activation="relu"),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(1),
    ]
)
model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
model.compile(tf.keras.optimizers.SGD(0.2), tf.keras.losses.BinaryCrossentropy(from_logits=True))
history = model.fit(dataset.batch(10).prefetch(tf.data.AUTOTUNE), epochs=4, verbose=0)
print("loss:", [round(v, 3) for v in history.history["loss"]])
