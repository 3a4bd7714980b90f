using System.Text;
using Microsoft.Build.Framework;

namespace Fossil.Build;

/// <summary>
/// Lets TorchSharp's native library load on a Linux whose libstdc++ is older than the one it was built with (Debian 12, Ubuntu 22.04).
/// TorchSharp 0.107.0's <c>libLibTorchSharp.so</c> requires <c>GLIBCXX_3.4.32</c> for <c>std::ios_base_library_init</c> alone, against which nothing
/// relocates: the requirement is marked weak, in the copy in the output folder, where the host's libstdc++ lacks it.
/// </summary>
public sealed class RelaxGlibcxx : Microsoft.Build.Utilities.Task
{
    /// <summary>The copy of <c>libLibTorchSharp.so</c> in the output folder.</summary>
    [Required]
    public string Library { get; set; } = "";

    /// <summary>The version whose requirement is relaxed.</summary>
    public string RequiredVersion { get; set; } = "GLIBCXX_3.4.32";

    /// <summary>Folders that are searched for the host's <c>libstdc++.so.6</c>.</summary>
    public string[] LibraryFolders { get; set; } =
    [
        "/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib", "/lib",
    ];

    /// <inheritdoc/>
    public override bool Execute()
    {
        try
        {
            if (!HostLacksVersion()) return true;
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

    private bool HostLacksVersion()
    {
        var host = LibraryFolders.Select(folder => Path.Combine(folder, "libstdc++.so.6")).FirstOrDefault(File.Exists);
        if (host is null) return false;
        // The version's name stands, ended by a zero, in the string table of each libstdc++ that defines it.
        var text = Encoding.GetEncoding("iso-8859-1").GetString(File.ReadAllBytes(host));
        return text.IndexOf("\0" + RequiredVersion + "\0", StringComparison.Ordinal) < 0;
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
        Log.LogMessage(MessageImportance.Normal, "{0}: the requirement of {1} is now weak (this host's libstdc++ is older).", Library, RequiredVersion);
    }
}
