using Microsoft.Build.Framework;

namespace Fossil.Build;

/// <summary>
/// Lets TorchSharp's native library load on a Linux whose libstdc++ is older than the one it was built with (Debian 12, Ubuntu 22.04).
/// TorchSharp 0.107.0's <c>libLibTorchSharp.so</c> requires <c>GLIBCXX_3.4.32</c> for <c>std::ios_base_library_init</c> alone, against which nothing
/// relocates: the requirement is marked weak, in the copy that goes into the output.
/// </summary>
public sealed class RelaxGlibcxx : Microsoft.Build.Utilities.Task
{
    /// <summary>The copy of <c>libLibTorchSharp.so</c> in the output folder.</summary>
    [Required]
    public string Library { get; set; } = "";

    /// <summary>The version whose requirement is relaxed.</summary>
    public string RequiredVersion { get; set; } = "GLIBCXX_3.4.32";

    /// <inheritdoc/>
    public override bool Execute()
    {
        try
        {
            Relax();
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            Log.LogWarning(
                subcategory: null, warningCode: "FOSSILBUILD001", helpKeyword: null, file: Library, 0, 0, 0, 0,
                message: "{0} was left as it is ({1}). On a host without {2} it does not load; set FossilRelaxGlibcxx to false to silence this.",
                Path.GetFileName(Library), e.Message, RequiredVersion);
        }

        return true;
    }

    private void Relax()
    {
        var image = File.ReadAllBytes(Library);
        var elf = new ElfVersionNeeds(image);
        var strict = elf.Needs.Where(need => need.Name == RequiredVersion && !elf.IsWeak(need.Entry)).ToList();
        if (strict.Count == 0) return;
        foreach (var need in strict) elf.MakeWeak(need.Entry);

        // The file may be a link into the package cache: write a new one and put it in its place.
        var temporary = Library + ".relaxed";
        File.WriteAllBytes(temporary, image);
        File.SetLastWriteTimeUtc(temporary, File.GetLastWriteTimeUtc(Library));
        File.Delete(Library);
        File.Move(temporary, Library);
        Log.LogMessage(MessageImportance.Normal, "{0}: the requirement of {1} is now weak.", Library, RequiredVersion);
    }
}
