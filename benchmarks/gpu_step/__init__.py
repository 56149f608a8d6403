"""What one training step asks of a GPU, counted without one.

    python -m benchmarks.gpu_step experiment=cifar10 [overrides of transgan train]

The training step of a configuration runs on fake CUDA tensors, which have shapes and no numbers: forward passes, input
gradient, second derivative, optimizers and EMA. Every operator that would start a kernel is counted with the bytes that
it reads and writes, its floating-point operations and the module that it belongs to; also the largest amount of memory
in use, and the points at which the processor waits for the GPU. A roofline predicts images/s from them. That is a
prediction: kernels rarely reach the bandwidth of the memory, and caches save some of the traffic.
"""
