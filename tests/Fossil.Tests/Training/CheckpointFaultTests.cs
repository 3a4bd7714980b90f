using Fossil.TestData;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

/// <summary>Every operation by which a checkpoint is written, replaced and pruned fails once, and the run is killed before each; what does not fit or is damaged is named.</summary>
public sealed class CheckpointFaultTests : IDisposable
{
    private const int Kept = 2;
    private static readonly RunIdentity Identity = new("data", new string('0', 64), 8, 1, 1, 1, true);
    private readonly TemporaryFolder folder = new();
    private readonly Linear module = nn.Linear(2, 2);
    private readonly TrainableModule model;
    private readonly FusedAdamW optimizer;

    public CheckpointFaultTests()
    {
        model = new TrainableModule(module);
        optimizer = new([(model.TrainableParameters(), 0)], 0.1, 0.9, 0.999, 1e-8);
    }

    public void Dispose()
    {
        optimizer.Dispose();
        module.Dispose();
        folder.Dispose();
    }

    /// <summary>The step that is written when 1 and 2 are there (2 is then written anew), and whether it fails once or is killed.</summary>
    public static TheoryData<int, bool> Writes => new() { { 3, false }, { 3, true }, { 2, false }, { 2, true } };

    [Theory]
    [MemberData(nameof(Writes))]
    public void At_every_operation_each_checkpoint_is_whole(int step, bool kill)
    {
        Begin("whole");
        var operations = FileFaults.Record(() => WriteAndPrune("whole", step));
        for (var number = 0; number < operations.Count; number++)
        {
            var run = $"run-{number}";
            Begin(run);
            var (operation, thrown) = kill ? FileFaults.StopAt(number, () => WriteAndPrune(run, step)) : FileFaults.FailAt(number, () => WriteAndPrune(run, step));
            if (!kill && thrown is null && !operation.StartsWith("delete", StringComparison.Ordinal)) Assert.Fail($"{operation} failed, and nothing was said");

            var store = Store(run);
            store.Prepare();
            var latest = store.Latest;
            switch (thrown)
            {
                // Pruning comes when the checkpoint is written.
                case null or OutputDirectoryException:
                    Assert.Equal((operation, store.PathOf(step)), (operation, latest));
                    Assert.Equal((operation, Value(step, isNew: true)), (operation, Read(store, step)));
                    break;
                case CheckpointWriteException exception:
                    Assert.Equal((operation, latest), (operation, exception.LastCheckpoint));
                    Assert.Equal((operation, Value(step, exception.Message.Contains("is complete"))), (operation, step == 2 || latest == store.PathOf(step) ? Read(store, step) : Value(step, isNew: false)));
                    break;
                default:
                    Assert.Fail($"{operation}: {thrown}");
                    break;
            }

            foreach (var other in Directory.EnumerateDirectories(folder[run]).Select(path => int.Parse(Path.GetFileName(path).Split('-')[1])).Where(other => other != step)) Assert.Equal(other, Read(store, other));
            WriteAndPrune(run, step);
            Assert.Equal(Directory.EnumerateFileSystemEntries(folder["whole"]).Select(Path.GetFileName).Order(), Directory.EnumerateFileSystemEntries(folder[run]).Select(Path.GetFileName).Order());
        }
    }

    [Fact]
    public void What_a_save_throws_leaves_no_hidden_folder()
    {
        Begin("run");
        var failing = new Saving(model, _ => throw new InvalidOperationException("no such tensor"));
        Assert.Throws<InvalidOperationException>(() => Store("run").Write(failing, optimizer, new TrainerState { GlobalStep = 3 }, Identity));
        Assert.Equal(["checkpoint-1", "checkpoint-2"], Names("run"));
    }

    [Fact]
    public void Another_run_leaves_a_checkpoint_alone_that_is_being_written()
    {
        Begin("run");
        var meanwhile = new Saving(model, _ =>
        {
            var other = Store("run");
            other.Prepare();
            Fill(4);
            other.Write(model, optimizer, new TrainerState { GlobalStep = 4 }, Identity);
            Fill(3);
        });
        Store("run").Write(meanwhile, optimizer, new TrainerState { GlobalStep = 3 }, Identity);
        Assert.Equal(["checkpoint-1", "checkpoint-2", "checkpoint-3", "checkpoint-4"], Names("run"));
        Assert.Equal((3, 4), (Read(Store("run"), 3), Read(Store("run"), 4)));
    }

    [Fact]
    public void Files_in_folders_of_a_checkpoint_belong_to_it()
    {
        var nested = new Saving(model, path =>
        {
            Directory.CreateDirectory(Path.Combine(path, "tokenizer"));
            File.WriteAllText(Path.Combine(path, "tokenizer", "vocab.txt"), "a b c");
        });
        var path = Store("run").Write(nested, optimizer, new TrainerState { GlobalStep = 3 }, Identity);
        Assert.Equal(3, CheckpointStore.Read(path, model, optimizer, Identity).GlobalStep);
        File.WriteAllText(Path.Combine(path, "tokenizer", "vocab.txt"), "a b d");
        Assert.Contains("vocab.txt", Assert.Throws<CheckpointReadException>(() => CheckpointStore.Read(path, model, optimizer, Identity)).Message);
    }

    [Fact]
    public void The_last_complete_checkpoint_is_the_latest()
    {
        Begin("run");
        Directory.CreateDirectory(Path.Combine(folder["run"], "checkpoint-7"));
        File.WriteAllText(Path.Combine(folder["run"], "checkpoint-7", "model.safetensors"), "half");
        var store = Store("run");
        store.Prepare();
        Assert.Equal(store.PathOf(2), store.Latest);
        store.Prune(1, null);
        Assert.Equal(["checkpoint-2", "checkpoint-7"], Names("run"));
    }

    [Fact]
    public void Hidden_folders_of_users_stay()
    {
        Begin("run");
        foreach (var name in new[] { ".checkpoint-backup", ".checkpoint-2-backup", ".git" }) Directory.CreateDirectory(Path.Combine(folder["run"], name));
        Store("run").Prepare();
        Assert.Equal([".checkpoint-2-backup", ".checkpoint-backup", ".git", "checkpoint-1", "checkpoint-2"], Names("run"));
    }

    [Fact]
    public void Every_damaged_byte_of_the_state_is_found()
    {
        Begin("run");
        var path = Path.Combine(Store("run").PathOf(2), "trainer_state.json");
        var bytes = File.ReadAllBytes(path);
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] ^= (byte)(1 << (i % 8));
            Refuses(bytes);
            bytes[i] ^= (byte)(1 << (i % 8));
        }

        for (var length = 0; length < bytes.Length; length += 5) Refuses(bytes[..length]);
        foreach (var json in new[] { "null", "[]", "{}", "\"x\"", """{"format_version":1,"run":{},"state":{},"files":{}}""", """{"format_version":1,"run":null,"state":null,"files":{"a":null}}""" }) Refuses(System.Text.Encoding.UTF8.GetBytes(json));

        void Refuses(byte[] damaged)
        {
            File.WriteAllBytes(path, damaged);
            var exception = Assert.Throws<CheckpointReadException>(() => CheckpointStore.Read(Store("run").PathOf(2), model, optimizer, Identity));
            Assert.Contains(path, exception.Message.Contains(path) ? exception.Message : exception.Message.Replace(Store("run").PathOf(2), path));
            Assert.Contains("to resume from checkpoint-1", exception.Message);
        }
    }

    [Fact]
    public void The_state_of_the_first_version_has_no_hash_and_is_read()
    {
        Begin("run");
        var path = Path.Combine(Store("run").PathOf(2), "trainer_state.json");
        var json = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        Assert.True(json.Remove("sha256"));
        File.WriteAllText(path, json.ToJsonString());
        Assert.Equal(2, Read(Store("run"), 2));
    }

    [Fact]
    public void What_cannot_be_loaded_is_a_checkpoint_that_cannot_be_read()
    {
        Begin("run");
        foreach (var thrown in new Exception[] { new IOException("gone"), new UnauthorizedAccessException("denied"), new InvalidOperationException("odd"), new Fossil.Serialization.SafetensorsException(Fossil.Serialization.SafetensorsError.Gap, null, "gap") })
        {
            var exception = Assert.Throws<CheckpointReadException>(() => CheckpointStore.Read(Store("run").PathOf(2), new Saving(model, _ => { }, thrown), optimizer, Identity));
            Assert.Contains(Store("run").PathOf(2), exception.Message);
            Assert.Same(thrown, exception.InnerException);
        }

        using var wider = nn.Linear(3, 2);
        Assert.Contains("shape", Assert.Throws<CheckpointReadException>(() => CheckpointStore.Read(Store("run").PathOf(2), new TrainableModule(wider), optimizer, Identity)).Message);
        using var other = new FusedAdamW([(new TrainableModule(wider).TrainableParameters(), 0)], 0.1, 0.9, 0.999, 1e-8);
        Assert.Contains("optimizer.safetensors", Assert.Throws<CheckpointReadException>(() => CheckpointStore.Read(Store("run").PathOf(2), model, other, Identity)).Message);
    }

    /// <summary>A run with checkpoints 1 and 2, whose parameters have the value of their step.</summary>
    private void Begin(string run)
    {
        foreach (var step in new[] { 1, 2 })
        {
            Fill(step);
            Store(run).Write(model, optimizer, new TrainerState { GlobalStep = step }, Identity);
        }
    }

    private void WriteAndPrune(string run, int step)
    {
        Fill(Value(step, isNew: true));
        Store(run).Write(model, optimizer, new TrainerState { GlobalStep = step }, Identity);
        Store(run).Prune(Kept, null);
    }

    /// <summary>What the parameters of a step are; step 2 is written twice.</summary>
    private static int Value(int step, bool isNew) => isNew && step == 2 ? 22 : step;

    /// <summary>Loads a checkpoint, and gives the value of its parameters.</summary>
    private int Read(CheckpointStore store, int step)
    {
        Fill(0);
        Assert.Equal(step, CheckpointStore.Read(store.PathOf(step), model, optimizer, Identity).GlobalStep);
        var value = (int)module.weight[0, 0].item<float>();
        Assert.True(module.parameters().All(parameter => parameter.eq(value).all().item<bool>()));
        return value;
    }

    private void Fill(int value)
    {
        using var withoutGradient = no_grad();
        foreach (var parameter in module.parameters()) parameter.fill_(value);
    }

    private CheckpointStore Store(string run) => new(folder[run]);

    private IEnumerable<string> Names(string run) => Directory.EnumerateFileSystemEntries(folder[run]).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal);

    /// <summary>Saves as another, and does something meanwhile.</summary>
    private sealed class Saving(ITrainable inner, Action<string> meanwhile, Exception? onLoad = null) : ITrainable
    {
        public nn.Module Module => inner.Module;

        public IReadOnlyList<(string Name, Parameter Parameter)> TrainableParameters() => inner.TrainableParameters();

        public void Save(string folder)
        {
            meanwhile(folder);
            inner.Save(folder);
        }

        public void Load(string folder)
        {
            if (onLoad is not null) throw onLoad;
            inner.Load(folder);
        }
    }
}
