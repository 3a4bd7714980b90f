using Fossil.Build;

namespace Fossil.Package.Tests;

public class RelaxGlibcxxTests
{
    [SkippableFact]
    public void RequirementsOfARealLibraryAreReadAndMadeWeak()
    {
        var library = new[] { "/usr/lib/x86_64-linux-gnu/libstdc++.so.6", "/usr/lib/aarch64-linux-gnu/libstdc++.so.6", "/usr/lib64/libstdc++.so.6" }.FirstOrDefault(File.Exists);
        Skip.If(library is null, "no libstdc++ on this host");
        var image = File.ReadAllBytes(library);
        var elf = new ElfVersionNeeds(image);
        var need = elf.Needs.First(need => need.Name == "GLIBC_2.14" || need.Name == "GLIBC_2.17");
        Assert.False(elf.IsWeak(need.Entry));
        elf.MakeWeak(need.Entry);
        Assert.Contains(new ElfVersionNeeds(image).Needs, again => again.Entry == need.Entry && elf.IsWeak(again.Entry));
    }

    [SkippableFact]
    public void ADamagedLibraryIsRefusedNotFollowed()
    {
        Skip.IfNot(File.Exists("/usr/lib/x86_64-linux-gnu/libstdc++.so.6"), "no libstdc++ at the usual place");
        var image = File.ReadAllBytes("/usr/lib/x86_64-linux-gnu/libstdc++.so.6");
        var random = new Random(1);
        for (var round = 0; round < 200; round++)
        {
            var damaged = image.AsSpan(0, random.Next(image.Length)).ToArray();
            for (var i = 0; i < 20 && damaged.Length > 0; i++) damaged[random.Next(Math.Min(damaged.Length, 4096))] = (byte)random.Next(256);
            try
            {
                _ = new ElfVersionNeeds(damaged).Needs;
            }
            catch (InvalidDataException e)
            {
                Assert.NotEmpty(e.Message);
            }
        }
    }

    [Fact]
    public void AFileThatIsNoLibraryIsNamedSo() =>
        Assert.Contains("ELF", Assert.Throws<InvalidDataException>(() => new ElfVersionNeeds([1, 2, 3])).Message);
}
