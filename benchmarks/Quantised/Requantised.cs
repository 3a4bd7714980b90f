using Fossil.Models;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;

/// <summary>A model's file again, its matrices dequantised and quantised to another type.</summary>
internal static class Requantised
{
    public static void Write(string path, GgufTensorType type)
    {
        using var model = AutoModelForCausalLM.FromGguf(path);
        var written = Path.ChangeExtension(path, null) + $".{type}.gguf";
        model.SaveGguf(Path.GetFileName(written), type, PretrainedTokenizer.FromGguf(path));
        Console.WriteLine(Path.GetFullPath(Path.GetFileName(written)));
    }
}
