using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Text is generated without dropout, whatever mode the decoder is in, and the mode stays what it was.</summary>
public sealed class GenerationModeTests
{
    private static readonly int[] Prompt = [5, 9, 31, 7];
    private static readonly GenerationOptions Options = new() { MaxNewTokens = 16, StopTokens = [] };

    [Fact]
    public void A_fresh_decoder_with_dropout_gives_one_text()
    {
        using var model = new LlamaForCausalLM(TinyModels.Config);
        using var adapted = Adapt(model);
        var text = model.Generate(Prompt, Options);
        for (var i = 0; i < 5; i++) Assert.Equal(text, model.Generate(Prompt, Options));
        model.eval();
        Assert.Equal(text, model.Generate(Prompt, Options));
    }

    [Fact]
    public void After_a_run_of_the_trainer_the_text_is_that_of_evaluation_mode()
    {
        using var model = TinyModels.Create();
        using var adapted = Adapt(model);
        var data = TokenData.FromWindows([.. Enumerable.Range(0, 64).Select(i => 3 + (i * 7 % 90))], 16, "numbers");
        new Trainer<TokenBatch>(adapted, model.loss, new TrainingArguments { MaxSteps = 2, BatchSize = 2, LearningRate = 1e-2 }, data).Train();
        Assert.False(model.training || model.modules().Any(module => module.training));
        Assert.Equal(model.Generate(Prompt, Options), model.Generate(Prompt, Options));
    }

    [Theory]
    [InlineData("finished")]
    [InlineData("cancelled")]
    [InlineData("callback throws")]
    [InlineData("refused")]
    public void However_generation_ends_every_module_is_in_the_mode_that_it_was_in(string ending)
    {
        using var model = TinyModels.Create();
        using var adapted = Adapt(model);
        var modules = model.modules().Prepend(model).ToArray();
        model.train();
        var training = modules.Select((module, i) => i % 3 != 0).ToArray();
        foreach (var (module, mode) in modules.Zip(training).Reverse()) module.train(mode);
        for (var i = modules.Length - 1; i >= 0; i--) if (!modules[i].children().Any()) modules[i].train(training[i]);
        training = [.. modules.Select(module => module.training)];
        Assert.Contains(true, training);
        Assert.Contains(false, training);

        using var cancel = new CancellationTokenSource();
        var exception = Record.Exception(() => model.Generate(ending == "refused" ? [96] : Prompt, Options, _ =>
        {
            Assert.All(modules, module => Assert.False(module.training));
            if (ending == "cancelled") cancel.Cancel();
            if (ending == "callback throws") throw new InvalidOperationException(ending);
        }, cancel.Token));
        Assert.Equal(ending is "callback throws" or "refused", exception is not null);
        Assert.Equal(training, modules.Select(module => module.training));
        Assert.True(is_grad_enabled());
    }

    private static AdaptedModel Adapt(LlamaForCausalLM model)
    {
        var adapted = model.AttachAdapters(new FossilConfig { TargetModules = ModuleSelector.AllLinear, ShardSize = 16, Dropout = 0.5 });
        using var noGrad = no_grad();
        foreach (var (_, parameter) in adapted.TrainableParameters()) nn.init.normal_(parameter, 0, 0.3);
        return adapted;
    }
}
