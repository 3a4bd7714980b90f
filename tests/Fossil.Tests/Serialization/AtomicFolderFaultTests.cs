using System.Text;
using Fossil.Serialization;
using Fossil.TestData;

namespace Fossil.Tests.Serialization;

/// <summary>Every operation of a save fails once, and the save is killed before each: what is left is one whole state, and what was said about it is true.</summary>
public class AtomicFolderFaultTests
{
    private static readonly string[] Names = ["a", "b", "same", "new", "gone", "link"];

    /// <summary>How a save begins: which files there are, and which it writes. "gone" is always removed where it is there.</summary>
    public static TheoryData<string, string> Saves => new()
    {
        { "a b same gone", "a b same new" },
        { "a", "a" },
        { "", "a b" },
        { "a", "b new" },
        { "gone", "a" },
        { "a b link", "a link" },
        { "a b same gone journal", "a b same new" },
    };

    [Theory]
    [MemberData(nameof(Saves))]
    public void One_failure_leaves_a_whole_state_that_the_exception_tells(string before, string written) => ForEachOperation(before, written, (number, save, states) =>
    {
        var (operation, thrown) = FileFaults.FailAt(number, save.Run);
        Check(save.Folder, operation, thrown, states);

        // A single failure is undone, or only leaves something to clear away: programs that do not know of journals see the same.
        if (before.Contains("journal")) return;
        Assert.Equal((operation, Seen(save.Folder)), (operation, Plain(save.Folder)));
        if (!operation.StartsWith("delete", StringComparison.Ordinal)) Assert.Empty(Hidden(save.Folder));
    });

    [Theory]
    [MemberData(nameof(Saves))]
    public void A_kill_at_any_operation_leaves_a_whole_state(string before, string written) => ForEachOperation(before, written, (number, save, states) =>
    {
        var (operation, thrown) = FileFaults.StopAt(number, save.Run);
        Check(save.Folder, operation, thrown, states);

        // A reader changes nothing: it may have no right to.
        var entries = Directory.EnumerateFileSystemEntries(save.Folder).Order().ToList();
        var seen = "";
        Assert.Empty(FileFaults.Record(() => seen = Seen(save.Folder)));
        Assert.Equal(entries, Directory.EnumerateFileSystemEntries(save.Folder).Order());

        AtomicFolder.Recover(save.Folder);
        Assert.Equal((operation, seen), (operation, Plain(save.Folder)));
        save.Run();
        Assert.Equal((operation, states.New), (operation, Plain(save.Folder)));
        Assert.Empty(Hidden(save.Folder));
    });

    [Fact]
    public void What_a_killed_completion_leaves_is_completed_again()
    {
        // The second process is killed while it finishes what the first one left; then a third comes.
        var first = 0;
        ForEachOperation("a b gone", "a b", (number, save, states) =>
        {
            FileFaults.StopAt(number, save.Run);
            var seen = Seen(save.Folder);
            for (var second = 0; second < first; second++)
            {
                FileFaults.StopAt(second, () => AtomicFolder.Recover(save.Folder));
                Assert.Equal(seen, Seen(save.Folder));
            }

            first = Math.Min(number, 8);
            AtomicFolder.Recover(save.Folder);
            Assert.Equal(seen, Plain(save.Folder));
        });
    }

    [Fact]
    public void A_name_that_a_folder_takes_meanwhile_changes_nothing()
    {
        using var folder = new TemporaryFolder();
        AtomicFolder.Write(folder.Path, ("a", Text("a1")));
        var exception = Assert.Throws<AtomicWriteException>(() => AtomicFolder.Write(folder.Path, ("a", Text("a2")), ("b", stream =>
        {
            Directory.CreateDirectory(folder["b"]);
            Text("b2")(stream);
        })));
        Assert.False(exception.IsCommitted);
        Assert.Contains(folder["b"], exception.Message);
        Assert.Equal("a1", File.ReadAllText(folder["a"]));
        Assert.Equal(["a", "b"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Links_are_replaced_and_what_they_lead_to_is_not()
    {
        using var folder = new TemporaryFolder();
        using var elsewhere = new TemporaryFolder();
        File.WriteAllText(elsewhere["cached"], "cached");
        File.CreateSymbolicLink(folder["a"], elsewhere["cached"]);
        File.CreateSymbolicLink(folder["b"], elsewhere["missing"]);
        File.CreateSymbolicLink(folder["gone"], elsewhere["cached"]);
        AtomicFolder.Write(folder.Path, name => name == "gone", ("a", Text("a2")), ("b", Text("b2")));
        Assert.Equal(("a2", "b2", "cached"), (File.ReadAllText(folder["a"]), File.ReadAllText(folder["b"]), File.ReadAllText(elsewhere["cached"])));
        Assert.Equal(["a", "b"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order());
        Assert.Equal(["cached"], Directory.EnumerateFileSystemEntries(elsewhere.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void A_file_that_a_scanner_holds_for_a_moment_is_waited_for()
    {
        const int SharingViolation = unchecked((int)0x80070020);
        using var folder = new TemporaryFolder();
        AtomicFile.Write(folder["a"], Text("a1"));
        var refused = 0;
        FileOperations.Before = operation =>
        {
            if (operation.StartsWith("rename", StringComparison.Ordinal) && refused++ < 2) throw new IOException("being used by another process", SharingViolation);
        };
        AtomicFile.Write(folder["a"], Text("a2"));
        FileOperations.Before = null;
        Assert.Equal("a2", File.ReadAllText(folder["a"]));
    }

    [Theory]
    [InlineData("x/a")]
    [InlineData("..")]
    [InlineData("")]
    [InlineData("a", "a")]
    [InlineData(".fossil.journal")]
    public void Names_that_are_no_files_of_the_folder_are_refused(params string[] names)
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<ArgumentException>(() => AtomicFolder.Write(folder.Path, [.. names.Select(name => (name, Text("")))]));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task Readers_and_writers_at_once_see_and_leave_whole_states()
    {
        const int Saves = 40;
        using var folder = new TemporaryFolder();
        var versions = 0;
        Save();
        var writers = Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            for (var count = 0; count < Saves; count++) Save();
        })).ToList();
        var done = Task.WhenAll(writers);
        var readers = Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            var reads = 0;
            for (; !done.IsCompleted || reads == 0; reads++)
            {
                var (a, b, odd) = AtomicFolder.Read(folder.Path, pathOf =>
                {
                    var first = int.Parse(File.ReadAllText(pathOf("a")));
                    Thread.Yield();
                    return (first, int.Parse(File.ReadAllText(pathOf("b"))), File.Exists(pathOf("odd")));
                });
                Assert.Equal((a, a % 2 == 1), (b, odd));
            }
        })).ToList();
        await done;
        await Task.WhenAll(readers);
        Assert.Empty(Hidden(folder.Path));

        void Save()
        {
            var version = Interlocked.Increment(ref versions);
            var text = Text($"{version}");
            AtomicFolder.Write(folder.Path, name => name == "odd", version % 2 == 1 ? [("a", text), ("b", text), ("odd", text)] : [("a", text), ("b", text)]);
        }
    }

    /// <summary>Calls <paramref name="test"/> for each operation of the same save, each time in a new folder.</summary>
    private static void ForEachOperation(string before, string written, Action<int, Save, (string Old, string New)> test)
    {
        using var whole = new Save(before, written);
        var old = Seen(whole.Folder);
        var operations = FileFaults.Record(whole.Run);
        var states = (old, Seen(whole.Folder));
        Assert.NotEqual(states.old, states.Item2);
        Assert.Empty(Hidden(whole.Folder));
        for (var number = 0; number < operations.Count; number++)
        {
            using var save = new Save(before, written);
            test(number, save, states);
        }
    }

    private static void Check(string folder, string operation, Exception? thrown, (string Old, string New) states)
    {
        var told = thrown switch
        {
            null => states.New,
            AtomicWriteException { IsCommitted: true } => states.New,
            AtomicWriteException => states.Old,
            _ => throw new InvalidOperationException($"{operation} was reported as {thrown.GetType()}", thrown),
        };
        Assert.Equal((operation, told), (operation, Seen(folder)));
    }

    /// <summary>The state as this library reads it.</summary>
    private static string Seen(string folder) => AtomicFolder.Read(folder, pathOf => State(name => pathOf(name)));

    /// <summary>The state as any other program reads it.</summary>
    private static string Plain(string folder) => State(name => Path.Combine(folder, name));

    private static string State(Func<string, string> pathOf) => string.Join(' ', Names.Where(name => File.Exists(pathOf(name))).Select(name => $"{name}={File.ReadAllText(pathOf(name))}"));

    private static IEnumerable<string?> Hidden(string folder) => Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).Where(name => name!.StartsWith('.'));

    private static Action<Stream> Text(string text) => stream => stream.Write(Encoding.UTF8.GetBytes(text));

    /// <summary>A folder, and a save into it.</summary>
    private sealed class Save : IDisposable
    {
        private readonly TemporaryFolder folder = new();
        private readonly TemporaryFolder elsewhere = new();
        private readonly string[] written;

        public Save(string before, string written)
        {
            this.written = written.Split(' ');
            foreach (var name in before.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                switch (name)
                {
                    case "link":
                        File.WriteAllText(elsewhere["target"], "linked");
                        File.CreateSymbolicLink(folder["link"], elsewhere["target"]);
                        break;
                    case "journal":
                        // What a process left that was killed between its two renames.
                        var (first, second) = (HiddenName.New("a"), HiddenName.New("b"));
                        File.WriteAllText(folder[second], "b0");
                        File.WriteAllText(folder["a"], "a0");
                        File.WriteAllText(folder[FolderJournal.FileName], $$"""{"{{first}}":"a","{{second}}":"b"}""");
                        break;
                    default:
                        File.WriteAllText(folder[name], name == "same" ? name : $"{name}1");
                        break;
                }
            }
        }

        public string Folder => folder.Path;

        public void Run() => AtomicFolder.Write(Folder, name => name == "gone", [.. written.Select(name => (name, Text(name == "same" ? name : $"{name}2")))]);

        public void Dispose()
        {
            if (File.Exists(elsewhere["target"])) Assert.Equal("linked", File.ReadAllText(elsewhere["target"]));
            folder.Dispose();
            elsewhere.Dispose();
        }
    }
}
