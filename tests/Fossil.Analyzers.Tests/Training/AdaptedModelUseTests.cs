using Fossil.Analyzers.Tests.Support;
using Fossil.Analyzers.Training;
using Fossil.CodeFixes;

namespace Fossil.Analyzers.Tests.Training;

public class AdaptedModelUseTests
{
    private static string Program(string code) => $$"""
        static class Program
        {
            static Tensor Loss(nn.Module model) => zeros(1);
            static AdaptedModel? kept;
            static AdaptedModel? Run(nn.Module model, Device device, bool flag)
            {
                {{code}}
                return null;
            }
        }
        """;

    private static Task Verify1(string code) => Verify.Reports<AdaptedModelUseAnalyzer>(Program(code));

    [Theory]
    [InlineData("using var adapted = model.AttachAdapters(); var optimizer = adapted.CreateOptimizer(); Loss(model).backward(); optimizer.step(); adapted.SavePretrained(\"x\"); adapted.Merge();")]
    [InlineData("using var adapted = model.AttachAdapters(); var optimizer = optim.SGD(adapted.TrainableParameters(), 0.1); Loss(model).backward(); optimizer.step();")]
    [InlineData("var optimizer = optim.AdamW(model.parameters(), 0.1); Loss(model).backward(); optimizer.step();")]
    [InlineData("using var adapted = model.AttachAdapters(); var optimizer = optim.AdamW(model.parameters().Where(p => p.requires_grad), 0.1);")]
    [InlineData("using var adapted = model.AttachAdapters(); var head = Linear(1, 1); var optimizer = optim.AdamW(head.parameters(), 0.1);")]
    [InlineData("var a = model.AttachAdapters(); var optimizer = optim.AdamW({|FOSSIL028:model.parameters()|}, 0.1);")]
    [InlineData("var a = model.LoadPretrained(\"x\"); var optimizer = new AdamW({|FOSSIL028:a.Model.parameters()|}, 0.1);")]
    [InlineData("using (var a = model.AttachAdapters()) { using var optimizer = optim.SGD({|FOSSIL028:model.named_parameters()|}, 0.1); }")]
    public Task Optimizers_over_all_parameters(string code) => Verify1(code);

    [Theory]
    [InlineData("var optimizer = {|FOSSIL029:optim.AdamW(model.parameters(), 0.1)|}; using var a = model.AttachAdapters(); for (var i = 0; i < 3; i++) { Loss(model).backward(); optimizer.step(); }")]
    [InlineData("var optimizer = optim.AdamW(model.parameters(), 0.1); Loss(model).backward(); optimizer.step(); using var a = model.AttachAdapters(); using var second = a.CreateOptimizer(); Loss(model).backward();")]
    [InlineData("if (flag) { var optimizer = optim.AdamW(model.parameters(), 0.1); optimizer.step(); } else { using var a = model.AttachAdapters(); }")]
    public Task Optimizers_before_the_adapters(string code) => Verify1(code);

    [Theory]
    [InlineData("var optimizer = optim.AdamW(model.parameters(), 0.1); {|FOSSIL030:model.to(device)|}; optimizer.step();")]
    [InlineData("model.to(device); var optimizer = optim.AdamW(model.parameters(), 0.1); optimizer.step();")]
    [InlineData("var optimizer = optim.AdamW(model.parameters(), 0.1); optimizer.step(); model.to(device);")]
    [InlineData("var optimizer = optim.AdamW(model.parameters(), 0.1); var x = zeros(1).to(device); optimizer.step();")]
    public Task Moves_after_the_optimizer(string code) => Verify1(code);

    [Theory]
    [InlineData("AdaptedModel a; using (NewDisposeScope()) { a = {|FOSSIL031:model.AttachAdapters()|}; } a.SavePretrained(\"x\");")]
    [InlineData("using (var scope = NewDisposeScope()) { kept = {|FOSSIL031:model.AttachAdapters()|}; }")]
    [InlineData("using (NewDisposeScope()) { var a = {|FOSSIL031:model.AttachAdapters()|}; return a; }")]
    [InlineData("using var scope = NewDisposeScope(); using var a = model.AttachAdapters(); a.SavePretrained(\"x\");")]
    [InlineData("using var a = model.AttachAdapters(); using (NewDisposeScope()) { Loss(model).backward(); } a.SavePretrained(\"x\");")]
    public Task Adapters_in_dispose_scopes(string code) => Verify1(code);

    [Theory]
    [InlineData("using var a = model.AttachAdapters(); Loss(model).backward(); return {|FOSSIL038:a|};")]
    [InlineData("using (var a = model.AttachAdapters()) { if (flag) return {|FOSSIL038:a|}; }")]
    [InlineData("var a = model.AttachAdapters(); return a;")]
    [InlineData("nn.Module Get() { using var a = model.LoadPretrained(\"x\"); return {|FOSSIL038:model|}; } Get();")]
    [InlineData("nn.Module Get() { using var a = model.LoadPretrained(\"x\"); return {|FOSSIL038:a|}.Model; } Get();")]
    [InlineData("nn.Module Get() { using var a = model.LoadPretrained(\"x\"); a.Merge(); return model; } Get();")]
    [InlineData("nn.Module Get() { using var a = model.AttachAdapters(); Loss(model).backward(); a.SavePretrained(\"x\"); return model; } Get();")]
    [InlineData("nn.Module Get() { using (var a = model.LoadPretrained(\"x\")) { Loss(model); } return model; } Get();")]
    [InlineData("nn.Module Get(AdaptedModel b) { using var a = b; return model; } Get(model.AttachAdapters());")]
    [InlineData("using var a = model.AttachAdapters(); Func<nn.Module> get = () => model; nn.Module Local() => model; Local(); Loss(get()).backward();")]
    [InlineData("using var a = model.AttachAdapters(); nn.Module Train() { Loss(model).backward(); return model; } Loss(Train()).backward();")]
    public Task Models_that_are_returned_without_their_adapters(string code) => Verify1(code);

    [Theory]
    [InlineData("using var a = model.AttachAdapters(); a.Merge(); {|FOSSIL032:Loss(model).backward()|};")]
    [InlineData("using var a = model.AttachAdapters(); var o = a.CreateOptimizer(); a.Merge(); for (var i = 0; i < 3; i++) { var loss = Loss(model); {|FOSSIL032:loss.backward()|}; }")]
    [InlineData("void Try() { using var a = model.AttachAdapters(); var o = a.CreateOptimizer(); Loss(model).backward(); o.step(); a.Merge(); Loss(model); a.Unmerge(); } Try(); Try();")]
    [InlineData("void Try() { using var a = model.AttachAdapters(); var o = a.CreateOptimizer(); Loss(model).backward(); o.step(); a.Merge(); } Try(); Try();")]
    [InlineData("using var a = model.AttachAdapters(); void Try() { Loss(model).backward(); a.Merge(); Loss(model); a.Unmerge(); } Try(); Try();")]
    [InlineData("using var a = model.AttachAdapters(); void Try() { {|FOSSIL032:Loss(model).backward()|}; a.Merge(); } Try(); Try();")]
    [InlineData("using var a = model.AttachAdapters(); a.Merge(); a.Unmerge(); Loss(model).backward();")]
    [InlineData("using var a = model.AttachAdapters(); Loss(model).backward(); a.Merge();")]
    [InlineData("using var a = model.AttachAdapters(); if (flag) { a.Merge(); return null; } Loss(model).backward();")]
    public Task Training_while_merged(string code) => Verify1(code);

    [Theory]
    [InlineData("using var a = model.AttachAdapters(); {|FOSSIL033:model.save(\"x\")|};")]
    [InlineData("using var a = model.AttachAdapters(); {|FOSSIL033:a.Model.save(\"x\")|};")]
    [InlineData("using var a = model.AttachAdapters(); a.MergeAndUnload(); model.save(\"x\");")]
    [InlineData("model.save(\"x\"); using var a = model.AttachAdapters();")]
    public Task Saving_the_whole_model(string code) => Verify1(code);

    [Theory]
    [InlineData("{|FOSSIL034:model.AttachAdapters()|};")]
    [InlineData("using var a = model.AttachAdapters();")]
    [InlineData("model.LoadPretrained(\"x\");")]
    public Task Keeping_the_adapted_model(string code) => Verify1(code);

    [Fact]
    public Task The_fix_gives_the_optimizer_the_adapters_parameters() => Verify.Fixes<AdaptedModelUseAnalyzer, TrainableParametersFix>(
        Program("using var adapted = model.AttachAdapters(); using var optimizer = optim.SGD(/* kept */ {|FOSSIL028:model.parameters()|}, 0.1);"),
        Program("using var adapted = model.AttachAdapters(); using var optimizer = optim.SGD(/* kept */ adapted.TrainableParameters(), 0.1);"));

    [Fact]
    public Task The_fix_gives_optimizers_the_parameters_of_an_adapted_model_that_was_discarded() => Verify.Fixes<AdaptedModelUseAnalyzer, TrainableParametersFix>(
        Program("/* kept */ {|FOSSIL034:model.AttachAdapters()|}; // kept\nusing var first = optim.AdamW({|FOSSIL028:model.parameters()|}); { using var second = optim.SGD(/* kept */ {|FOSSIL028:model.parameters()|}, 0.1); }"),
        Program("/* kept */ using var adapted = model.AttachAdapters(); // kept\nusing var first = optim.AdamW(adapted.TrainableParameters()); { using var second = optim.SGD(/* kept */ adapted.TrainableParameters(), 0.1); }"));

    [Fact]
    public Task The_fix_keeps_the_adapted_model() => Verify.Fixes<AdaptedModelUseAnalyzer, KeepAdaptedModelFix>(
        Program("/* kept */ {|FOSSIL034:model.AttachAdapters()|}; // kept"),
        Program("/* kept */ using var adapted = model.AttachAdapters(); // kept"));
}
