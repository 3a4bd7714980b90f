using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>A device by its value: a <see cref="Device"/> is equal to itself only.</summary>
internal readonly record struct DevicePlace(DeviceType Type, int Index)
{
    // Of which there is one, whose number libtorch need not be asked for.
    private static readonly DevicePlace Host = new(DeviceType.CPU, -1);

    /// <summary>Whether the memory is the processor's own.</summary>
    public bool IsHost => Type == DeviceType.CPU;

    public static DevicePlace Of(Tensor tensor) => tensor.device_type is var type && type == DeviceType.CPU ? Host : new(type, tensor.device_index);

    public static DevicePlace Of(Device device) => device.type == DeviceType.CPU ? Host : new(device.type, device.index);
}
