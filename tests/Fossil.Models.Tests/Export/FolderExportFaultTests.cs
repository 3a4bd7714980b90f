using Fossil.Models.Tests.Decoder;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Export;

/// <summary>A model is saved over another in another number of files: at each operation the save fails, or is killed, and the folder loads as one of the two.</summary>
public sealed class FolderExportFaultTests
{
    private const long Sharded = 50_000;
    private const long OneFile = 1 << 30;

    [Theory]
    [InlineData(Sharded, OneFile, true)]
    [InlineData(Sharded, OneFile, false)]
    [InlineData(OneFile, Sharded, true)]
    [InlineData(OneFile, Sharded, false)]
    public void A_folder_holds_one_model_whole(long before, long after, bool kill)
    {
        using var old = TinyModels.Create(seed: 1);
        using var @new = TinyModels.Create(seed: 2);
        using var whole = new TemporaryFolder();
        old.SavePretrained(whole.Path, maxShardBytes: before);
        var operations = FileFaults.Record(() => @new.SavePretrained(whole.Path, maxShardBytes: after));
        for (var number = 0; number < operations.Count; number++)
        {
            using var folder = new TemporaryFolder();
            old.SavePretrained(folder.Path, maxShardBytes: before);
            void Save() => @new.SavePretrained(folder.Path, maxShardBytes: after);
            var (operation, thrown) = kill ? FileFaults.StopAt(number, Save) : FileFaults.FailAt(number, Save);
            Assert.True(thrown is null or AtomicWriteException, $"{operation}: {thrown}");
            using (var loaded = LlamaForCausalLM.FromPretrained(folder.Path)) Assert.True(Same(loaded, thrown is null or AtomicWriteException { IsCommitted: true } ? @new : old), operation);

            Save();
            Assert.Equal(Names(whole), Names(folder));
        }
    }

    private static bool Same(LlamaForCausalLM left, LlamaForCausalLM right)
    {
        using var scope = NewDisposeScope();
        return left.named_parameters().Zip(right.named_parameters()).All(pair => pair.First.parameter.equal(pair.Second.parameter).all().item<bool>());
    }

    private static IEnumerable<string?> Names(TemporaryFolder folder) => Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order();
}
