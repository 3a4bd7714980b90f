using System.Text;
using Fossil.Serialization;
using Fossil.TestData;

namespace Fossil.Tests.Serialization;

public class AtomicFileTests
{
    [Fact]
    public void A_file_is_replaced_and_its_folder_made()
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder["a"], "b", "x");
        AtomicFile.Write(path, Text("old"));
        AtomicFile.Write(path, Text("new"));
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Equal([path], Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(path)!));
    }

    [Fact]
    public void A_write_that_throws_leaves_the_old_file_and_nothing_else()
    {
        using var folder = new TemporaryFolder();
        AtomicFile.Write(folder["x"], Text("old"));
        Assert.Throws<InvalidOperationException>(() => AtomicFile.Write(folder["x"], stream =>
        {
            stream.WriteByte(1);
            throw new InvalidOperationException();
        }));
        Assert.Equal("old", File.ReadAllText(folder["x"]));
        Assert.Single(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public void A_full_disk_leaves_the_old_file()
    {
        // A test cannot fill the disk: the content itself says what the operating system would.
        using var folder = new TemporaryFolder();
        AtomicFile.Write(folder["x"], Text("old"));
        var exception = Assert.Throws<AtomicWriteException>(() => AtomicFile.Write(folder["x"], _ => throw new IOException("No space left on device")));
        Assert.Contains("No space left on device", exception.Message);
        Assert.Contains(folder["x"], exception.Message);
        Assert.Equal("old", File.ReadAllText(folder["x"]));
        Assert.Single(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public void A_folder_in_the_way_is_named()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["x"]);
        Assert.Throws<AtomicWriteException>(() => AtomicFile.Write(folder["x"], Text("new")));
        Assert.Throws<AtomicWriteException>(() => AtomicFile.Write(Path.Combine(AtomicFileInTheWay(folder), "y"), Text("new")));
        Assert.Throws<AtomicWriteException>(() => AtomicFolder.Write(folder.Path, ("z", Text("new")), ("x", Text("new"))));
        Assert.False(File.Exists(folder["z"]));
    }

    [SkippableFact]
    public void A_read_only_folder_leaves_the_old_file()
    {
        Skip.If(Environment.IsPrivilegedProcess, "Whoever may do anything may write to a read-only folder.");
        if (OperatingSystem.IsWindows()) throw new SkipException("Windows has no read-only folders.");
        using var folder = new TemporaryFolder();
        AtomicFile.Write(folder["x"], Text("old"));
        File.SetUnixFileMode(folder.Path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        try
        {
            Assert.Throws<AtomicWriteException>(() => AtomicFile.Write(folder["x"], Text("new")));
            Assert.Equal("old", File.ReadAllText(folder["x"]));
        }
        finally
        {
            File.SetUnixFileMode(folder.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [Fact]
    public void What_a_killed_process_left_is_deleted_and_what_a_living_one_writes_is_not()
    {
        using var folder = new TemporaryFolder();
        var abandoned = folder[$".x.{Guid.NewGuid():N}.tmp"];
        File.WriteAllText(abandoned, "half");
        File.WriteAllText(folder[".x.mine.tmp"], "not ours");
        AtomicFile.Write(folder["x"], stream =>
        {
            AtomicFile.Write(folder["x"], Text("inner"));
            Text("outer")(stream);
        });
        Assert.Equal("outer", File.ReadAllText(folder["x"]));
        Assert.False(File.Exists(abandoned));
        Assert.True(File.Exists(folder[".x.mine.tmp"]));
    }

    [Fact]
    public void Files_of_a_folder_change_together()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["other"], "stays");
        AtomicFolder.Write(folder.Path, ("a", Text("a1")), ("b", Text("b1")));
        Assert.Throws<AtomicWriteException>(() => AtomicFolder.Write(folder.Path, ("a", Text("a2")), ("b", _ => throw new IOException("No space left on device"))));
        Assert.Equal(("a1", "b1"), (File.ReadAllText(folder["a"]), File.ReadAllText(folder["b"])));
        AtomicFolder.Write(folder.Path, ("a", Text("a3")), ("b", Text("b3")));
        Assert.Equal(("a3", "b3"), (File.ReadAllText(folder["a"]), File.ReadAllText(folder["b"])));
        Assert.Equal(["a", "b", "other"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_save_that_stopped_between_two_renames_is_finished_by_the_next_reader()
    {
        using var folder = new TemporaryFolder();
        AtomicFolder.Write(folder.Path, ("a", Text("a1")), ("b", Text("b1")));
        var (first, second) = ($".a.{Guid.NewGuid():N}.tmp", $".b.{Guid.NewGuid():N}.tmp");
        File.WriteAllText(folder[second], "b2");
        File.WriteAllText(folder["a"], "a2");
        File.WriteAllText(folder[".fossil.journal"], $$"""{"{{first}}":"a","{{second}}":"b"}""");
        AtomicFolder.Recover(folder.Path);
        Assert.Equal(("a2", "b2"), (File.ReadAllText(folder["a"]), File.ReadAllText(folder["b"])));
        Assert.Equal(["a", "b"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("""{".a.0123456789abcdef0123456789abcdef.tmp":"../a"}""")]
    [InlineData("""{"../.a.0123456789abcdef0123456789abcdef.tmp":"a"}""")]
    [InlineData("""{"secret":"a"}""")]
    [InlineData("""{".a.0123456789abcdef0123456789abcdef.tmp":null}""")]
    [InlineData("[1]")]
    [InlineData("{")]
    public void A_journal_that_leads_elsewhere_is_refused(string journal)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder[".fossil.journal"], journal);
        Assert.Throws<InvalidDataException>(() => AtomicFolder.Recover(folder.Path));
    }

    private static Action<Stream> Text(string text) => stream => stream.Write(Encoding.UTF8.GetBytes(text));

    private static string AtomicFileInTheWay(TemporaryFolder folder)
    {
        File.WriteAllText(folder["file"], string.Empty);
        return folder["file"];
    }
}
