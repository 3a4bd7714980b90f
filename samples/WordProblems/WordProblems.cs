using Fossil.Models;
using Fossil.Models.Tokenizers;
using Fossil.Training;
using static TorchSharp.torch;

/// <summary>The problems, as the model reads them, and what it is asked.</summary>
/// <param name="modelPath">The GGUF file, for its vocabulary.</param>
internal sealed class WordProblems(string modelPath)
{
    private const int MaxLength = 128, AnswerTokens = 6;
    private const int HamletStart = 2000, HamletWindows = 16, HamletLength = 256;
    private const string EndOfTurn = "<|im_end|>";
    private readonly PretrainedTokenizer tokenizer = PretrainedTokenizer.FromGguf(modelPath);

    /// <summary>The problems to learn from; the loss is on the answers alone.</summary>
    public TokenData TrainingData()
    {
        var path = SampleData.Find("data/word_problems/train.jsonl");
        return TokenData.FromExamples(JsonlReader.Read(path).Select(Encode), MaxLength, tokenizer.IdOf(EndOfTurn)!.Value, path);

        TokenExample Encode(JsonlExample example)
        {
            var prompt = Prompt(example.Turns[0].Content);
            var answer = tokenizer.Encode(example.Turns[1].Content + EndOfTurn);
            return new([.. prompt, .. answer], [.. prompt.Select(_ => false), .. answer.Select(_ => true)]);
        }
    }

    /// <summary>How many of the first test problems the model answers exactly, greedily and in at most six tokens.</summary>
    public int CountCorrect(LlamaForCausalLM model, int questions)
    {
        var examples = JsonlReader.Read(SampleData.Find("data/word_problems/test.jsonl")).Take(questions).ToList();

        // Prompts of the same length go together, so that none is padded.
        return examples
            .Select(example => (Prompt: Prompt(example.Turns[0].Content), Answer: example.Turns[1].Content))
            .GroupBy(question => question.Prompt.Length)
            .Sum(group => Answer(model, [.. group.Select(question => question.Prompt)]).Zip(group).Count(pair => pair.First == pair.Second.Answer));
    }

    /// <summary>Perplexity on a text that the model is not trained on: what it forgot.</summary>
    public double HamletPerplexity(LlamaForCausalLM model)
    {
        using var noGrad = no_grad();
        var ids = tokenizer.Encode(File.ReadAllText(SampleData.Find("data/shakespeare/hamlet.txt")));
        var windows = TokenData.FromWindows(ids.AsSpan(HamletStart, HamletWindows * HamletLength), HamletLength, "hamlet.txt");
        double sum = 0;
        for (var window = 0; window < windows.Count; window++)
        {
            using var scope = NewDisposeScope();
            using var batch = windows.GetBatch([window]);
            sum += model.loss(batch).item<float>();
        }

        return Math.Exp(sum / windows.Count);
    }

    /// <summary>SmolLM2's chat format without its default system turn.</summary>
    private int[] Prompt(string question) => tokenizer.Encode($"<|im_start|>user\n{question}{EndOfTurn}\n<|im_start|>assistant\n");

    private List<string> Answer(LlamaForCausalLM model, IReadOnlyList<int[]> prompts)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var cache = new KeyValueCache(model.Config.NumHiddenLayers);
        var answers = prompts.Select(_ => new List<int>()).ToList();
        var input = tensor([.. prompts.SelectMany(prompt => prompt.Select(id => (long)id))], [prompts.Count, prompts[0].Length]);
        for (var i = 0; i < AnswerTokens; i++)
        {
            input = model.forward(input, attention_mask: null, cache, last_only: true).argmax(-1);
            foreach (var (row, id) in input.data<long>().Index()) answers[row].Add((int)id);
        }

        var end = tokenizer.IdOf(EndOfTurn)!.Value;
        return [.. answers.Select(answer => tokenizer.Decode(answer.TakeWhile(id => id != end)).Trim())];
    }
}
