using System.Globalization;
using TorchSharp.Modules;
using static TorchSharp.torch;

/// <summary>
/// One element of the first step's gradient, and the value it shall have. Adam's first step is the learning rate times g / (|g| + 1e-8): where g is as small as what
/// float32 rounds off, the step is decided by rounding, and this shows how much of a run's losses hangs on it.
/// </summary>
internal sealed record GradientElement(string Parameter, long Index, float Value)
{
    /// <summary>The element in PARAMETER:INDEX:VALUE; null for null.</summary>
    public static GradientElement? Parse(string? text)
    {
        if (text is null) return null;
        var parts = text.Split(':');
        if (parts.Length == 3 && long.TryParse(parts[1], CultureInfo.InvariantCulture, out var index) && float.TryParse(parts[2], CultureInfo.InvariantCulture, out var value))
        {
            return new(parts[0], index, value);
        }
        throw new FormatException($"'{text}' is not PARAMETER:INDEX:VALUE, as in model.layers.20.self_attn.q_proj.miss_block.default:2454:-9.5e-9.");
    }

    /// <summary>Gives the element its value, once gradients are there.</summary>
    public void Set(IEnumerable<(string Name, Parameter Parameter)> parameters)
    {
        var parameter = parameters.FirstOrDefault(entry => entry.Name == Parameter).Parameter
            ?? throw new ArgumentException($"No adapter parameter is called '{Parameter}'. There are: {string.Join(", ", parameters.Select(entry => entry.Name).Take(3))}, …");
        using var scope = NewDisposeScope();
        var elements = parameter.grad!.view(-1);
        Console.WriteLine($"  first gradient of {Parameter}, element {Index}: {elements[Index].item<float>():0.0E-0}, set to {Value:0.0E-0}");
        elements[Index] = tensor(Value);
    }
}
