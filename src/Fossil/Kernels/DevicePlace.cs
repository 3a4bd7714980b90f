using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>A device by its value: a <see cref="Device"/> is equal to itself only.</summary>
internal readonly record struct DevicePlace(DeviceType Type, int Index)
{
    public static DevicePlace Of(Tensor tensor) => new(tensor.device_type, tensor.device_index);

    public static DevicePlace Of(Device device) => new(device.type, device.index);
}
