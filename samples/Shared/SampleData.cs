/// <summary>Finds what the samples ship with, from wherever a sample is started.</summary>
internal static class SampleData
{
    /// <summary>The path of <paramref name="relative"/> in the folder <c>samples</c>, looked for from the program's folder upwards.</summary>
    public static string Find(string relative)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "samples", relative);
            if (Path.Exists(candidate)) return candidate;
        }
        throw new FileNotFoundException($"samples/{relative} is not in any folder above {AppContext.BaseDirectory}.");
    }
}
