namespace Fossil.Cuda;

/// <summary>The CUDA C that lies beside this file; it is embedded into the assembly.</summary>
internal static class CudaText
{
    /// <summary>The text of a file, with <c>\n</c> on every platform.</summary>
    public static string Read(string name)
    {
        using var stream = typeof(CudaText).Assembly.GetManifestResourceStream($"Fossil.Cuda.{name}") ?? throw new InvalidOperationException($"The assembly lacks its CUDA source {name}.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Replace("\r\n", "\n");
    }
}
