using System.CommandLine;
using System.Diagnostics;
using Fossil.Fuzz;

var golden = new Option<string?>("--golden") { Description = "The folder of golden files to damage (FOSSIL_GOLDEN where not given).", DefaultValueFactory = _ => Environment.GetEnvironmentVariable("FOSSIL_GOLDEN") };
var minutes = new Option<double>("--minutes") { Description = "How long to go on.", DefaultValueFactory = _ => 1 };
var first = new Option<int>("--first") { Description = "The number of the first file: give the number of a failure to try that file again." };
var times = new Option<int>("--times") { Description = "How often to kill.", DefaultValueFactory = _ => 100 };
var folder = new Option<string>("--folder") { Description = "Where to save.", Required = true };

var lines = new Option<int>("--lines") { Description = "Lines of the file.", DefaultValueFactory = _ => 1_000_000 };

var root = new RootCommand("Gives damaged files to Fossil's readers, kills processes that save, and measures what data files cost.");
foreach (var (name, target) in FuzzTarget.All)
{
    var command = new Command(name, $"Damages {target.Pattern} files and reads them.") { golden, minutes, first };
    command.SetAction(arguments => Fuzz(target, arguments.GetValue(golden), TimeSpan.FromMinutes(arguments.GetValue(minutes)), arguments.GetValue(first)));
    root.Add(command);
}

foreach (var (name, saves, loop, run, check) in new (string, string, string, Action<string>, Action<string, int>)[]
{
    ("kill", "adapters", SaveLoop.Command, SaveLoop.Run, SaveLoop.Check),
    ("kill-training", "checkpoints", CheckpointLoop.Command, CheckpointLoop.Run, CheckpointLoop.Check),
})
{
    var kill = new Command(name, $"Kills a process that saves {saves} at random moments, and checks what it leaves.") { times };
    kill.SetAction(arguments => Kill(loop, check, arguments.GetValue(times)));
    root.Add(kill);
    var saveLoop = new Command(loop, $"Saves {saves} until it is killed.") { folder };
    saveLoop.SetAction(arguments => run(arguments.GetValue(folder)!));
    root.Add(saveLoop);
}

var memory = new Command(DataMemory.Command, "Reads a data file of many lines, and measures the memory that it takes.") { lines };
memory.SetAction(arguments => DataMemory.Run(arguments.GetValue(lines)));
root.Add(memory);

return root.Parse(args).Invoke();

static int Fuzz(FuzzTarget target, string? golden, TimeSpan duration, int first)
{
    var seeds = Fuzzer.Seeds(target, golden);
    var fuzzer = new Fuzzer(target, seeds);
    var path = Path.Combine(Path.GetTempPath(), $"fossil-fuzz-{Environment.ProcessId}");
    Console.WriteLine($"{seeds.Count} files to damage.");
    var clock = Stopwatch.StartNew();
    var report = TimeSpan.FromSeconds(10);
    try
    {
        for (var number = first; clock.Elapsed < duration; number++)
        {
            fuzzer.Try(number, path);
            if (clock.Elapsed < report) continue;
            report += TimeSpan.FromSeconds(10);
            Console.WriteLine($"{clock.Elapsed:hh\\:mm\\:ss}  {fuzzer.Tried} tried, {fuzzer.Accepted} accepted, largest allocation beyond the file's size {fuzzer.LargestAllocation} bytes");
        }
    }
    catch (FuzzFailure failure)
    {
        Console.WriteLine(failure.Message);
        Console.WriteLine($"The file is kept: {path}. Again: --first {failure.Number}");
        return 1;
    }

    File.Delete(path);
    Console.WriteLine($"{fuzzer.Tried} tried, {fuzzer.Accepted} accepted, no failure.");
    return 0;
}

static int Kill(string loop, Action<string, int> check, int times)
{
    var folder = Directory.CreateTempSubdirectory("fossil-kill-").FullName;
    var random = new Random();
    for (var count = 1; count <= times; count++)
    {
        check(folder, SaveLoop.StartAndKill(folder, random, loop));
        Console.WriteLine($"killed {count} times: what it saved is whole");
    }

    Directory.Delete(folder, recursive: true);
    return 0;
}
