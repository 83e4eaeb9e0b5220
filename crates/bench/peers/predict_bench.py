"""Predictions of a Keras file by a peer: prints milliseconds of the best one.

    python predict_bench.py model.keras make                # MobileNetV2, 224 x 224, alpha 1, random weights
    python predict_bench.py model.keras tensorflow 32 5     # or torch, onnx
"""
import os, sys, time

path, peer = sys.argv[1], sys.argv[2]
os.environ["KERAS_BACKEND"] = "torch" if peer == "torch" else "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np

if peer == "make":
    import keras

    keras.applications.MobileNetV2(weights=None).save(path)
    sys.exit()
batch, runs = int(sys.argv[3]), int(sys.argv[4])
if peer == "onnx":
    import onnxruntime

    exported = path.removesuffix(".keras") + ".onnx"
    if not os.path.exists(exported):
        import keras

        model = keras.models.load_model(path, compile=False)
        model(np.zeros((1, *model.input_shape[1:]), "f"))
        model.export(exported, format="onnx")
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    x = np.random.rand(batch, *source.shape[1:]).astype("f")
    predict = lambda: session.run(None, {source.name: x})
else:
    import keras

    model = keras.models.load_model(path, compile=False)
    x = np.random.rand(batch, *model.input_shape[1:]).astype("f")
    if peer == "torch":
        import torch

        def predict():
            with torch.no_grad():
                return model(x, training=False)
    else:
        predict = lambda: model.predict_on_batch(x)
predict()
times = []
for _ in range(runs):
    start = time.perf_counter()
    predict()
    times.append(time.perf_counter() - start)
print(min(times) * 1e3)
