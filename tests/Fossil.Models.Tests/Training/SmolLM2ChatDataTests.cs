using Fossil.Models.Chat;
using Fossil.Models.Tests.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.Training;

namespace Fossil.Models.Tests.Training;

public sealed class SmolLM2ChatDataTests : IDisposable
{
    private readonly string path = Path.GetTempFileName();

    public void Dispose() => File.Delete(path);

    [SkippableFact]
    public void OnlyAnswersAndTheirEndsAreLearned()
    {
        var tokenizer = PretrainedTokenizer.FromGguf(SmolLM2.Model);
        File.WriteAllText(path, """
            {"messages": [{"role": "user", "content": "1+1? <|im_end|>"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}
            {"prompt": "Two and two make", "completion": " four."}
            """);
        var data = ChatData.FromJsonl(path, tokenizer, maxLength: 128);
        Assert.Equal(2, data.Report.Examples);
        Assert.Equal("2<|im_end|>4<|im_end|>", Learned(data, 0, tokenizer));
        Assert.Equal(" four." + tokenizer.Decode([tokenizer.EosTokenId!.Value]), Learned(data, 1, tokenizer));
        using var plain = data.GetBatch([1]);
        Assert.Equal("Two and two make four." + tokenizer.Decode([tokenizer.EosTokenId!.Value]), tokenizer.Decode(plain.InputIds.data<long>().Select(id => (int)id)));
    }

    [SkippableFact]
    public void WithATemplateAPromptIsTheUsersTurn()
    {
        var tokenizer = PretrainedTokenizer.FromGguf(SmolLM2.Model);
        File.WriteAllText(path, """{"prompt": "2+2?", "completion": "4"}""");
        var data = ChatData.FromJsonl(path, tokenizer, maxLength: 128, ChatTemplate.Of(tokenizer));
        using var batch = data.GetBatch([0]);
        Assert.Contains("<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n4<|im_end|>", tokenizer.Decode(batch.InputIds.data<long>().Select(id => (int)id)));
        Assert.Equal("4<|im_end|>", Learned(data, 0, tokenizer));
    }

    [SkippableFact]
    public void AConversationThatTheTemplateRefusesIsNamedWithItsLine()
    {
        var tokenizer = PretrainedTokenizer.FromGguf(SmolLM2.Model);
        var alternating = ChatTemplate.Parse("{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('user and assistant alternate') }}{% endif %}{{ m.content + '\n' }}{% endfor %}");
        File.WriteAllText(path, """
            {"prompt": "a", "completion": "b"}
            {"messages": [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]}
            """);
        Assert.Equal(2, Assert.Throws<TrainingDataException>(() => ChatData.FromJsonl(path, tokenizer, 128, alternating)).Line);
    }

    [SkippableFact]
    public void ATextIsCutIntoWindowsAndAMissingOneIsNamed()
    {
        var tokenizer = PretrainedTokenizer.FromGguf(SmolLM2.Model);
        File.WriteAllText(path, string.Concat(Enumerable.Range(0, 200).Select(i => $"line {i}\n")));
        var data = ChatData.FromText(path, tokenizer, 64);
        Assert.Equal(tokenizer.Encode(File.ReadAllText(path)).Length / 64, data.Count);
        Assert.Contains(path + "x", Assert.Throws<TrainingDataException>(() => ChatData.FromText(path + "x", tokenizer, 64)).Message);
    }

    private static string Learned(TokenData data, int example, PretrainedTokenizer tokenizer)
    {
        using var batch = data.GetBatch([example]);
        return tokenizer.Decode(batch.Targets.data<long>().Select(id => (int)id));
    }
}
