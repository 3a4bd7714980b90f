using Fossil.Models.Hub;
using Fossil.Models.Tests.Decoder;
using Fossil.Models.Tests.Hub;
using Fossil.TestData;

namespace Fossil.Models.Tests.Documentation;

/// <summary>The code of docs/models.md on the hub and on vocabularies; the document has the regions word for word (a test of tests/Fossil.Package.Tests).</summary>
public sealed class ModelsGuideHubTests
{
    [Fact]
    public async Task The_guide_to_the_hub_does_what_it_says()
    {
        using var server = new FakeHub { Token = "secret" };
        using var folder = new TemporaryFolder();
        var hub = new HubOptions { Endpoint = server.Address, Token = "secret", CacheFolder = folder["hub"] };
        server.Files.Clear();
        using (var made = TinyModels.Create())
        {
            made.SavePretrained(folder["files"]);
            using var first = made.AttachAdapters(new FossilConfig { ShardSize = 8 });
            first.SavePretrained(folder["files"]);
        }

        foreach (var path in Directory.GetFiles(folder["files"])) server.Files[Path.GetFileName(path)] = File.ReadAllBytes(path);
        var (modelId, adapterId) = (FakeHub.Model, FakeHub.Model);

        #region hub
        using var model = await LlamaForCausalLM.FromHubAsync(modelId, "auto", options: hub);
        using var adapted = await model.LoadPretrainedFromHubAsync(adapterId, isTrainable: true, options: hub);
        var upload = new HubUpload { CommitMessage = "Second epoch", IsPrivate = true };
        var commit = await adapted.PushToHubAsync(adapterId, upload: upload, options: hub);   // model.PushToHubAsync for a whole model
        #endregion
        Assert.Equal(FakeHub.Commit, commit.Hash);
        Assert.Contains("README.md", server.Files.Keys);
    }

    [Fact]
    public void The_guide_to_vocabularies_does_what_it_says()
    {
        using var model = TinyModels.Create();
        var added = 2;

        #region resize
        model.ResizeTokenEmbeddings(model.Config.VocabSize + added);                         // before adapters are attached
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 8, ModulesToSave = ["embed_tokens", "lm_head"] });
        #endregion
        Assert.Equal(98, model.Config.VocabSize);
    }
}
